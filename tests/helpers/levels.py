"""The instructions that kernels may be held to."""

LEVELS = ("portable", "avx2", "avx512")
