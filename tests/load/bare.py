"""The least a webhook's receiver can do: check the signature and answer 202. What the bot is compared with"""

import sys

import uvicorn
from fastapi import FastAPI, Request, Response

from app.webhook import signature_of
from tests.service import SECRET

app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)


@app.post("/webhook")
async def webhook(request: Request) -> Response:
    """Keep nothing."""
    body = await request.body()
    is_right = request.headers.get("x-hub-signature-256") == signature_of(body, SECRET)
    return Response(status_code=202 if is_right else 401)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False, lifespan="off")
