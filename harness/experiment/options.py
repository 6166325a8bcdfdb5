"""What flags choose between, where several files know the words."""

from typing import Literal, get_args

Resume = Literal["missing", "failed", "always", "never"]
RESUME: tuple[Resume, ...] = get_args(Resume)
Compile = Literal["auto", "always", "never"]
COMPILE: tuple[Compile, ...] = get_args(Compile)
