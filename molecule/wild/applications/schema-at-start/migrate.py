import os
import sqlite3

database = sqlite3.connect(f"{os.environ['STATE_DIRECTORY']}/database")
database.execute("CREATE TABLE IF NOT EXISTS users (id INT)")
