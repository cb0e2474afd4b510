"""The stock OpenAI client, sync and async, and Prometheus' own parser, against a running server. Prints a PASS line a check."""
import argparse
import asyncio
import base64
import urllib.request

import openai
from prometheus_client.parser import text_string_to_metric_families

QUESTION = "what shape is the red object?"
TRUTH = "circle"


def messages(url, question):
    return [{"role": "user", "content": [{"type": "text", "text": question},
                                         {"type": "image_url", "image_url": {"url": url}}]}]


def check(name, holds, seen=""):
    if not holds:
        raise SystemExit(f"FAIL {name}: {seen}")
    print(f"PASS {name}", flush=True)


def check_sync(base_url, url):
    client = openai.OpenAI(base_url=base_url, api_key="none")
    model = next(iter(client.models.list())).id
    chat = client.chat.completions.create
    answer = chat(model=model, messages=messages(url, QUESTION), logprobs=True)
    choice = answer.choices[0]
    check("openai: answer", choice.message.content == TRUTH and choice.finish_reason == "stop", answer)
    check("openai: usage", answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens, answer.usage)
    check("openai: logprobs", choice.logprobs.content[0].logprob <= 0, choice.logprobs)
    told = chat(model=model, messages=messages(url, QUESTION), logprobs=True, top_logprobs=5).choices[0].logprobs.content
    check("openai: top_logprobs", len(told[0].top_logprobs) == 5 and told[0].top_logprobs[0].token == told[0].token
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
            ("top_logprobs 6", openai.BadRequestError, dict(model=model, messages=messages(url, QUESTION), logprobs=True,
                                                            top_logprobs=6)),
            ("JSON mode", openai.BadRequestError, dict(model=model, messages=messages(url, QUESTION),
                                                       response_format={"type": "json_object"}))):
        try:
            chat(**call)
            check(f"openai: {name} is refused", False, "it was answered")
        except error as refusal:
            check(f"openai: {name} is refused", bool(refusal.message), refusal)
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
