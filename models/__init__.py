"""Our models, one a file. Importing this package registers them; the harness finds it by its entry
point.
"""

from models import gmvae as gmvae
from models import ssvae as ssvae
from models import vae as vae
