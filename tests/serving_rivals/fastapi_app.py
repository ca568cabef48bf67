"""FastAPI as its documentation has it for work that blocks: a plain ``def``, run in the thread pool; orjson."""

from __future__ import annotations

import orjson
from fastapi import FastAPI, Response
from pydantic import BaseModel
from ranker import Ranker

app = FastAPI()
rank = Ranker()


class Ask(BaseModel):
    history: list[int]
    k: int = 20


@app.post("/rank")
def recommend(ask: Ask) -> Response:
    items, scores = rank([ask.history], ask.k)
    answer = {"items": items[0], "scores": scores[0]}
    return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")
