"""The stock OpenAI client, sync and async, and Prometheus' own parser, against a running server. Prints a PASS line a check."""
import argparse
import asyncio
import base64
import enum
import json
import urllib.request

import openai
import pydantic
from prometheus_client.parser import text_string_to_metric_families

QUESTION = "what shape is the red object?"
TRUTH = "circle"


def messages(url, question):
    return [{"role": "user", "content": [{"type": "text", "text": question},
                                         {"type": "image_url", "image_url": {"url": url}}]}]


class Shape(enum.Enum):
    circle = "circle"
    square = "square"


class Seen(pydantic.BaseModel):
    shape: Shape


def check(name, holds, seen=""):
    if not holds:
        raise SystemExit(f"FAIL {name}: {seen}")
    print(f"PASS {name}", flush=True)


def refusal(error, call, **arguments):
    """What the server says to a call that it must refuse with `error`."""
    try:
        raise SystemExit(f"FAIL answered: {call(**arguments)}")
    except error as refused:
        return refused


def check_choices(client, model, url):
    chat = client.chat.completions.create
    about = dict(model=model, messages=messages(url, QUESTION))
    names = [shape.value for shape in Shape]
    for field in ({"choices": names}, {"guided_choice": names}, {"structured_outputs": {"choice": names}}):
        said = chat(**about, extra_body=field).choices[0].message.content
        check(f"openai: {next(iter(field))}", said == TRUTH, said)
    schema = {"type": "json_schema", "json_schema": {"name": "shape", "schema": {"type": "string", "enum": names}}}
    said = chat(**about, response_format=schema).choices[0].message.content
    check("openai: an enum as response_format is answered with JSON", json.loads(said) == TRUTH, said)
    parsed = client.chat.completions.parse(**about, response_format=Seen).choices[0].message.parsed
    check("openai: parse() of a pydantic model with an enum", parsed.shape is Shape.circle, parsed)
    chunks = chat(**about, response_format=schema, stream=True)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    check("openai: an enum in a stream", json.loads(said) == TRUTH, said)


def check_logits(client, model, url):
    chat = client.chat.completions.create
    about = dict(model=model, messages=messages(url, QUESTION))
    answer = chat(**about, max_tokens=20, extra_body={"ignore_eos": True})
    check("openai: ignore_eos", answer.usage.completion_tokens == 20 and answer.choices[0].finish_reason == "length", answer)
    answer = chat(**about, max_tokens=20, extra_body={"min_tokens": 7})
    check("openai: min_tokens", answer.usage.completion_tokens >= 7, answer)
    plain = chat(**about, max_tokens=20, extra_body={"ignore_eos": True}).choices[0].message.content
    other = chat(**about, max_tokens=20, frequency_penalty=2, presence_penalty=2,
                 extra_body={"ignore_eos": True, "repetition_penalty": 1.5}).choices[0].message.content
    check("openai: penalties", other != plain, other)
    check("openai: logit_bias of 300 tokens", chat(**about, logit_bias={str(i): 0 for i in range(300)}).choices, about)
    said = refusal(openai.BadRequestError, chat, **about, logit_bias={"99999999": 1})
    check("openai: logit_bias of a token that is none", said.param == "logit_bias", said)


def check_conversation(client, model, url):
    chat = client.chat.completions.create
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    history = [{"role": "developer", "content": "be brief"}, {"role": "user", "content": "look"},
               {"role": "assistant", "content": None, "tool_calls": [call]},
               {"role": "tool", "tool_call_id": "1", "content": "a picture"}]
    said = chat(model=model, messages=history + messages(url, QUESTION), tools=[tool], tool_choice="none")
    check("openai: tools with tool_choice none, and what they said before", said.choices[0].message.content == TRUTH, said)
    said = chat(model=model, messages=messages(url, QUESTION), max_tokens=1_000_000_000, user="u", store=False,
                metadata={"a": "b"}, service_tier="auto", n=1, extra_body={"top_k": -1, "min_p": 0})
    check("openai: what changes nothing is taken", said.choices[0].message.content == TRUTH, said)


def check_errors(client, model, url):
    chat = client.chat.completions.create
    about = dict(model=model, messages=messages(url, QUESTION))
    for title, error, expected, arguments in (
            ("unknown model", openai.NotFoundError, ("model_not_found", "model"), {**about, "model": "nope"}),
            ("a long prompt", openai.BadRequestError, ("context_length_exceeded", "messages"),
             dict(model=model, messages=messages(url, "red " * 5000))),
            ("a field that is not offered", openai.BadRequestError, ("unsupported_parameter", "tools"),
             {**about, "tools": [{"type": "function", "function": {"name": "f"}}]}),
            ("a misspelt field", openai.BadRequestError, ("unsupported_parameter", "max_token"),
             {**about, "extra_body": {"max_token": 5}}),
            ("a value out of range", openai.BadRequestError, ("invalid_value", "temperature"),
             {**about, "temperature": 3})):
        said = refusal(error, chat, **arguments)
        check(f"openai: {title} is refused as OpenAI does",
              (said.code, said.param) == expected and said.type == "invalid_request_error", said)


def check_sync(base_url, url):
    client = openai.OpenAI(base_url=base_url, api_key="none")
    model = next(iter(client.models.list())).id
    chat = client.chat.completions.create
    answer = chat(model=model, messages=messages(url, QUESTION), logprobs=True)
    choice = answer.choices[0]
    check("openai: answer", choice.message.content == TRUTH and choice.finish_reason == "stop", answer)
    check("openai: usage", answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens, answer.usage)
    check("openai: logprobs", choice.logprobs.content[0].logprob <= 0, choice.logprobs)
    told = chat(model=model, messages=messages(url, QUESTION), logprobs=True, top_logprobs=20).choices[0].logprobs.content
    check("openai: top_logprobs", len(told[0].top_logprobs) == 20 and told[0].top_logprobs[0].token == told[0].token
          and told[0].top_logprobs[0].logprob == told[0].logprob, told)
    chunks = list(chat(model=model, messages=messages(url, QUESTION), logprobs=True, top_logprobs=2, stream=True))
    told = [token for chunk in chunks for c in chunk.choices if c.logprobs for token in c.logprobs.content]
    check("openai: top_logprobs in a stream", told and all(len(token.top_logprobs) == 2 for token in told), told)
    whole = chat(model=model, messages=messages(url, "describe the picture")).choices[0].message.content
    chunks = list(chat(model=model, messages=messages(url, "describe the picture"), stream=True,
                       stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    check("openai: a stream says what the whole answer says", text == whole and len(chunks) > 4, text)
    check("openai: usage chunk", chunks[-1].usage is not None and not chunks[-1].choices, chunks[-1])
    several = chat(model=model, messages=messages(url, QUESTION), n=3, temperature=1, seed=7)
    again = chat(model=model, messages=messages(url, QUESTION), n=3, temperature=1, seed=7)
    texts = [[c.message.content for c in one.choices] for one in (several, again)]
    check("openai: n and seed", len(texts[0]) == 3 and texts[0] == texts[1], texts)
    short = chat(model=model, messages=messages(url, "describe the picture"), max_tokens=3).choices[0]
    check("openai: max_tokens", short.finish_reason == "length", short)
    cut = chat(model=model, messages=messages(url, "describe the picture"), stop=[" at"]).choices[0].message.content
    check("openai: stop", whole.startswith(cut) and " at" not in cut, cut)
    for name, error, call in (
            ("unknown model", openai.NotFoundError, dict(model="nope", messages=messages(url, QUESTION))),
            ("no data URI", openai.BadRequestError, dict(model=model, messages=messages("https://example.org/a.png", QUESTION))),
            ("top_logprobs 21", openai.BadRequestError, dict(model=model, messages=messages(url, QUESTION), logprobs=True,
                                                             top_logprobs=21)),
            ("JSON mode", openai.BadRequestError, dict(model=model, messages=messages(url, QUESTION),
                                                       response_format={"type": "json_object"}))):
        try:
            chat(**call)
            check(f"openai: {name} is refused", False, "it was answered")
        except error as said:
            check(f"openai: {name} is refused", bool(said.message), said)
    for checks in (check_choices, check_logits, check_conversation, check_errors):
        checks(client, model, url)
    return model


async def check_async(base_url, url, model):
    client = openai.AsyncOpenAI(base_url=base_url, api_key="none")
    calls = [client.chat.completions.create(model=model, messages=messages(url, QUESTION)) for _ in range(16)]
    answers = {answer.choices[0].message.content for answer in await asyncio.gather(*calls)}
    check("openai: sixteen at once, asynchronously", answers == {TRUTH}, answers)


def check_metrics(http):
    text = urllib.request.urlopen(f"http://{http}/metrics").read().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    check("prometheus_client parses /metrics", all(family.documentation for family in families.values()), families.keys())
    experts = families["sparsefusion_moe_expert_tokens"].samples
    check("experts have worked", sum(sample.value for sample in experts) > 0, experts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", required=True, help="HOST:PORT")
    parser.add_argument("--image", required=True)
    options = parser.parse_args()
    with open(options.image, "rb") as file:
        url = "data:image/png;base64," + base64.b64encode(file.read()).decode()
    base_url = f"http://{options.http}/v1"
    model = check_sync(base_url, url)
    asyncio.run(check_async(base_url, url, model))
    check_metrics(options.http)


if __name__ == "__main__":
    main()
