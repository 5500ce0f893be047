"""Complex numbers and Fourier transforms, which stand in a file as [..., 2], and torchvision's operators."""
import torch

from aten_cases import b, case, f, group, i, program, programs, v, w

group("signal")
real = torch.view_as_real


@programs(f(2, 8))
def rfft(x):
    return real(torch.fft.rfft(x)), torch.fft.rfft(x, norm="ortho").abs()


@programs(f(3, 6))
def rfft_dims(x):
    return real(torch.fft.rfft(x, n=4)), real(torch.fft.rfft(x, n=9)), real(torch.fft.rfft(x, dim=0, norm="forward"))


@programs(f(2, 6))
def fft(x):
    return real(torch.fft.fft(x)), real(torch.fft.fft(x, n=5)), real(torch.fft.fft(x, dim=0))


@programs(f(2, 6, 2))
def ifft(x):
    z = torch.view_as_complex(x)
    return real(torch.fft.ifft(z)), real(torch.fft.fft(z)), real(torch.fft.ifft(z, norm="ortho"))


@programs(f(2, 5, 2))
def irfft(x):
    z = torch.view_as_complex(x)
    return torch.fft.irfft(z), torch.fft.irfft(z, n=7), torch.fft.irfft(z, norm="ortho")


@programs(f(4, 6))
def fft2(x):
    return real(torch.fft.fft2(x)), real(torch.fft.rfft2(x)), torch.fft.irfft2(torch.fft.rfft2(x))


@programs(f(3, 4, 6))
def fftn(x):
    z = torch.fft.fftn(x)
    return real(z), real(torch.fft.rfftn(x)), real(torch.fft.ifftn(z)), real(torch.fft.ifft2(z)), torch.fft.irfftn(z)


@programs(f(2, 20))
def stft(x):
    window = torch.hann_window(8)
    return (real(torch.stft(x, 8, 4, window=window, return_complex=True)),
            torch.stft(x, 8, center=False, window=window, return_complex=True, normalized=True).abs())


@programs(f(20))
def stft_two_sided(x):
    return real(torch.stft(x, 6, 3, win_length=4, window=torch.ones(4), onesided=False, return_complex=True))


@programs(f(2, 20))
def stft_centred(x):
    return real(torch.ops.aten.stft.center(x, 8, 4, 8, torch.ones(8), True, "reflect", False, True, True))


@programs(f(1, 32))
def istft(x):
    window = torch.hann_window(8)
    z = torch.stft(x, 8, 2, window=window, return_complex=True)
    return torch.istft(z, 8, 2, window=window), torch.istft(z, 8, 2, window=window, length=30)


@programs(f(2, 3), f(2, 3))
def complex_arithmetic(x, y):
    z, u = torch.complex(x, y), torch.polar(x, y)
    return tuple(map(real, (z + u, z - u, z * u, z / u, z * 2, -z, z.conj().resolve_conj(), torch.exp(z), z.reciprocal())))


@programs(f(2, 3), f(2, 3))
def complex_parts(x, y):
    z = torch.complex(x, y)
    return z.real, z.imag, z.abs(), z.angle(), real(z), (z * z.conj()).real


@programs(f(2, 3), f(2, 3))
def complex_moves(x, y):
    z = torch.complex(x, y)
    return tuple(map(real, (z.t(), z.reshape(3, 2), z[0], z[:, 1:], torch.cat([z, z]), z.unsqueeze(0), z.sum(0), z.flip(1))))


@programs(f(2, 3), f(2, 3), f(3, 4), f(3, 4))
def complex_product(a, b, c, d):
    return real(torch.complex(a, b) @ torch.complex(c, d))


@programs(f(2, 3, 8))
def rotary(x):
    angles = torch.arange(3)[:, None] * torch.tensor([1.0, 0.5, 0.25, 0.125])
    turn = torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(torch.view_as_complex(x.reshape(2, 3, 4, 2)) * turn).flatten(-2)


@programs(f(2, 6))
def core_fft(x):
    return (real(torch.ops.aten._fft_r2c(x, [1], 0, True)), real(torch.ops.aten._fft_r2c(x, [0, 1], 1, False)),
            torch.ops.aten._fft_c2r(torch.ops.aten._fft_r2c(x, [1], 0, True), [1], 2, 6),
            real(torch.ops.aten._fft_c2c(torch.ops.aten._fft_r2c(x, [1], 0, False), [0, 1], 0, True)))


@programs(f(2, 6))
def angles(x):
    return torch.angle(x), torch.real(x)


@programs(f(3, 2))
def complex_square_root(x):
    z = torch.view_as_complex(x)
    return real(z * 1j), real(torch.pow(z, 2)), z.abs().sqrt()
