"""A Flask app that trusts what WSGI tells it of its client."""

from flask import Flask, request

app = Flask(__name__)


@app.get("/healthz")
def healthz():
    return "flask"


@app.get("/client")
def client():
    return {"address": request.remote_addr, "scheme": request.scheme, "url": request.url}
