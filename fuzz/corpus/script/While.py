class While(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  _is_full_backward_hook : Optional[bool]
  def forward(self: __torch__.While,
    x: Tensor) -> Tuple[Tensor, int]:
    error = torch.max(torch.abs(x))
    if torch.gt(float(error), 0.01):
      _0 = True
    else:
      _0 = False
    x0 = x
    steps = 0
    _1 = _0
    while _1:
      x1 = torch.mul(x0, 0.5)
      error0 = torch.max(torch.abs(x1))
      steps0 = torch.add(steps, 1)
      if torch.gt(float(error0), 0.01):
        _2 = torch.lt(steps0, 50)
      else:
        _2 = False
      _1, x0, steps = _2, x1, steps0
    return (x0, steps)
