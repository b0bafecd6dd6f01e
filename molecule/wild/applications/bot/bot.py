"""A bot that answers no requests: it says which release it is, again and again."""

import os
import time
from pathlib import Path

from itsdangerous import Signer

NOTE = Path(os.environ["STATE_DIRECTORY"], "note")

while True:
    NOTE.write_text(Signer("key").sign(os.environ["RELEASE_ID"]).decode())
    time.sleep(0.5)
