"""Choices of flags that several modules use."""

from typing import Literal, get_args

Resume = Literal["missing", "failed", "always", "never"]
RESUME_CHOICES: tuple[Resume, ...] = get_args(Resume)
Compile = Literal["auto", "always", "never"]
COMPILE_CHOICES: tuple[Compile, ...] = get_args(Compile)
