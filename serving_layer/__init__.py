"""From index and Redis to answers: FastAPI."""
