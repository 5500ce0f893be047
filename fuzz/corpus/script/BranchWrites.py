class BranchWrites(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  _is_full_backward_hook : Optional[bool]
  def forward(self: __torch__.BranchWrites,
    x: Tensor,
    y: Tensor) -> Tuple[Tensor, Tensor]:
    a = torch.clone(x)
    b = torch.clone(y)
    _0 = bool(torch.gt(torch.select(x, 0, 0), 0))
    if _0:
      _1 = torch.add_(a, b)
      _2 = torch.mul_(b, 2)
    else:
      _3 = torch.select(a, 0, 1)
      _4 = torch.tensor(7., dtype=ops.prim.dtype(_3), device=ops.prim.device(_3))
      _5 = torch.copy_(_3, _4)
    a0 = torch.add_(a, b)
    return (a0, b)
