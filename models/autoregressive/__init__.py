"""Models with an exact likelihood, a product over pixels."""

from models.autoregressive import made as made
from models.autoregressive import pixelcnn as pixelcnn
