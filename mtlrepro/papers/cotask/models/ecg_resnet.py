"""A one-dimensional residual network for ECGs, after Hannun and others (2019), as CO-TASK uses it: 8 residual blocks.

Pre-activation blocks of two convolutions with dropout before each; the shortcut takes maxima where a block shortens the signal
and fills up with zeros where it widens. Paper: kernel 25, dropout 0.2, channels as `PAPER_CHANNELS`. That every block halves the
length, and that features are means over time, is our reading.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mtlrepro.errors import BadValue

PAPER_CHANNELS = (64, 64, 128, 128, 256, 256, 512, 512)


class ResidualBlock(nn.Module):
    """(n, narrow, samples) -> (n, wide, ceil(samples / 2)). wide at least narrow."""

    def __init__(self, narrow: int, wide: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.more = wide - narrow
        self.shortcut = nn.MaxPool1d(2, ceil_mode=True)
        self.residual = nn.Sequential(
            nn.BatchNorm1d(narrow), nn.ReLU(), nn.Dropout(dropout),
            nn.Conv1d(narrow, wide, kernel, 2, kernel // 2, bias=False),
            nn.BatchNorm1d(wide), nn.ReLU(), nn.Dropout(dropout),
            nn.Conv1d(wide, wide, kernel, 1, kernel // 2, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        summed: Tensor = nn.functional.pad(self.shortcut(x), (0, 0, 0, self.more)) + self.residual(x)
        return summed


class EcgResNet(nn.Module):
    """(n, 12 leads, samples) -> (n, channels[-1]), means over time. `features` is that width.

    channels: of each residual block, not falling. kernel: odd. stem: by which the first convolution shortens the signal.
    Raises BadValue for an even kernel, no block, or channels that fall.
    """

    def __init__(
        self,
        channels: Sequence[int] = PAPER_CHANNELS,
        kernel: int = 25,
        dropout: float = 0.2,
        stem: int = 1,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0 or not channels or list(channels) != sorted(channels):
            raise BadValue(f"a network needs an odd kernel and channels that do not fall, not {kernel} and {list(channels)}.")
        self.features = channels[-1]
        self.stem = nn.Sequential(
            nn.Conv1d(12, channels[0], kernel, stem, kernel // 2, bias=False), nn.BatchNorm1d(channels[0]), nn.ReLU()
        )
        narrow = [channels[0], *channels[:-1]]
        self.blocks = nn.Sequential(*(ResidualBlock(a, b, kernel, dropout) for a, b in zip(narrow, channels, strict=True)))
        self.last = nn.Sequential(nn.BatchNorm1d(channels[-1]), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        means: Tensor = self.last(self.blocks(self.stem(x))).mean(-1)
        return means
