"""Jobs of a Celery worker: each says in the state directory that it was done, and in which release."""

import os
import time
from pathlib import Path

from celery import Celery

app = Celery("tasks", broker=os.environ["REDIS_URL"])


@app.task
def work(number):
    time.sleep(0.5)
    with (Path(os.environ["STATE_DIRECTORY"]) / "done").open("a") as file:
        file.write(f"{number} {os.environ['RELEASE_ID']}\n")
