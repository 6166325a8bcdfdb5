"""The shipped data sets; importing this package registers them."""

from harness.data.sets import celeba as celeba
from harness.data.sets import cifar10 as cifar10
from harness.data.sets import digits as digits
from harness.data.sets import faces as faces
from harness.data.sets import idx as idx
from harness.data.sets import idx_variants as idx_variants
from harness.data.sets import omniglot as omniglot
from harness.data.sets import patches as patches
from harness.data.sets import signals as signals
from harness.data.sets import sprites as sprites
from harness.data.sets import static_mnist as static_mnist
from harness.data.sets import svhn as svhn
