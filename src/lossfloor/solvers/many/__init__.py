"""Bounds of the smallest loss over the conflicts of many classes: cutting planes, and the proof of the lower bound."""
