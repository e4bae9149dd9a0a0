"""The instructions that kernels may be held to."""

ISAS = ("portable", "avx2", "avx512")
