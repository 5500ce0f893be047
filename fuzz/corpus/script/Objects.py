class Objects(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  _is_full_backward_hook : Optional[bool]
  def forward(self: __torch__.Objects,
    x: Tensor) -> Tensor:
    box = __torch__.Box.__new__(__torch__.Box)
    _0 = (box).__init__(-0.25, )
    _1 = torch.add((box).apply(x, ), (box).apply(x, ))
    _2 = __torch__.clamp_to(x, -0.5, 0.10000000000000001, )
    return torch.add(_1, _2)
def clamp_to(x: Tensor,
    lo: float=-0.5,
    hi: float=0.5) -> Tensor:
  return torch.clamp(x, lo, hi)
class Box:
  low : float
  calls : int
  def __init__(self: __torch__.Box,
    low: float) -> NoneType:
    self.low = low
    self.calls = 0
    return None
  def apply(self: __torch__.Box,
    x: Tensor) -> Tensor:
    calls = self.calls
    self.calls = torch.add(calls, 1)
    low = self.low
    _3 = __torch__.clamp_to(x, low, 0.5, )
    calls0 = self.calls
    return torch.mul(_3, calls0)
