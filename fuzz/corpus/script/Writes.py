class Writes(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  _is_full_backward_hook : Optional[bool]
  def forward(self: __torch__.Writes,
    x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    y = torch.clone(x)
    _0 = torch.select(y, 0, 0)
    _1 = torch.tensor(5., dtype=ops.prim.dtype(_0), device=ops.prim.device(_0))
    _2 = torch.copy_(_0, _1)
    _3 = torch.slice(torch.slice(y, 0, 1, 3), 1, 1, 3)
    _4 = torch.add_(_3, 10)
    _5 = torch.mul_(torch.select(torch.slice(y), 1, -1), 2)
    z = torch.t(y)
    _6 = torch.copy_(torch.select(z, 0, 0), torch.select(x, 0, 1))
    _7 = torch.gt(y, 8)
    _8 = torch.tensor(8., dtype=ops.prim.dtype(y), device=ops.prim.device(y))
    _9 = annotate(List[Optional[Tensor]], [_7])
    _10 = torch.index_put_(y, _9, _8)
    view = torch.view(y, [2, 8])
    _11 = torch.zero_(torch.select(view, 0, 1))
    _12 = torch.add_(y, 1)
    return (y, view, z)
