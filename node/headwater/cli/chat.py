"""`headwater chat`: one question through the stock OpenAI client, streamed."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.session import Session, Shown, command
from headwater.errors import Refused, UnknownModel


def attach(app: typer.Typer) -> None:
    @command(app, "chat")
    def chat(
        session: Session,
        model: Annotated[str, typer.Argument(help="Model name as in /v1/models.")],
        question: Annotated[str, typer.Argument(help="What to ask.")],
        url: Annotated[str, typer.Option(help="Base URL (default: this home's proxy).")] = "",
        max_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 64,
        temperature: Annotated[float, typer.Option(help="0 = the likeliest answer.")] = 0.0,
    ) -> Shown:
        """Ask one question; print the answer as it comes, and the receipt's id."""
        import openai

        base_url = url or f"{session.config.proxy_url}/v1"
        client = openai.OpenAI(base_url=base_url, api_key=session.config.token or "lane", max_retries=0)
        try:
            raw = client.chat.completions.with_raw_response.create(
                model=model,
                messages=[{"role": "user", "content": question}],
                max_tokens=max_tokens,
                temperature=temperature,
                stream=True,
            )
            receipt_id = raw.headers.get("X-Receipt-Id", "")
            text = "".join(c.choices[0].delta.content or "" for c in raw.parse() if c.choices)
        except openai.NotFoundError as error:
            raise UnknownModel(str(error), "see `headwater model list`") from None
        except openai.APIError as error:
            raise Refused(f"no answer: {error}", "read the message: it says what is missing") from None
        data = {"model": model, "answer": text, "receipt_id": receipt_id}
        return Shown(data, f"{text}\n  receipt {receipt_id}")
