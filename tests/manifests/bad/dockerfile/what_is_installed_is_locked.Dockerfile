# Breaks one rule: installs without hashes.
ARG BASE=python:3.11.14-slim-bookworm
FROM ${BASE} AS build
COPY requirements.lock .
RUN python -m pip install -r requirements.lock
FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
USER 10001
