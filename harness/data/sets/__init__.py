"""The shipped data sets; importing this package registers them."""

from harness.data.sets import idx as idx
