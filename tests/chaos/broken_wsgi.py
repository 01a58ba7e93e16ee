"""What gunicorn serves in a chaos test: the application with the part broken that VARIANT names."""

import os

from tests.chaos.variants import break_part
from wsgi import app

break_part(os.environ["VARIANT"])

__all__ = ["app"]
