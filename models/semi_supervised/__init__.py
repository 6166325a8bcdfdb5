"""Models that learn from few labels and many images."""

from models.semi_supervised import m1m2 as m1m2
from models.semi_supervised import m2 as m2
