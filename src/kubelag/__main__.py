"""`python -m kubelag`."""

import sys

from kubelag.cli.main import main

sys.exit(main())
