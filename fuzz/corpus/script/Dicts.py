class Dicts(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  _is_full_backward_hook : Optional[bool]
  def forward(self: __torch__.Dicts,
    x: Tensor,
    y: Tensor) -> Dict[str, Tensor]:
    d = {"x": x}
    torch._set_item(d, "y", torch.mul(y, 2))
    torch.update(d, {"z": torch.sub(x, y)})
    out = annotate(Dict[str, Tensor], {})
    _0 = torch.items(d)
    for _1 in range(torch.len(_0)):
      k, v, = _0[_1]
      _2 = torch.add(v, torch.len(k))
      torch._set_item(out, torch.add("new_", k), _2)
    if torch.__contains__(out, "new_x"):
      _3 = torch.add(out["new_x"], out["new_y"])
      torch._set_item(out, "sum", _3)
    else:
      pass
    names = torch.list(torch.keys(out))
    torch._set_item(out, "count", torch.tensor(torch.len(names)))
    torch.Delete(out, "new_z")
    return out
