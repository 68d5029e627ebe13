"""google-genai: tools of an SDK session, converted by the library; the calls are made by hand."""

import asyncio

from google import genai
from google.genai import types
from here import MODEL
from session import connect


async def main():
    client = genai.Client(api_key="none", http_options=types.HttpOptions(base_url=MODEL))
    async with connect() as session:
        tools = (await session.list_tools()).tools
        config = types.GenerateContentConfig(tools=tools, automatic_function_calling={"disable": True})
        contents = [types.UserContent("What is in the shop?")]
        while True:
            answer = await client.aio.models.generate_content(model="gemini-3-pro", contents=contents, config=config)
            if not answer.function_calls:
                return
            contents.append(answer.candidates[0].content)
            for call in answer.function_calls:
                result = await session.call_tool(call.name, call.args)
                response = {"error" if is_error(result) else "output": result.content[0].text}
                contents.append(types.UserContent(types.Part.from_function_response(name=call.name, response=response)))


def is_error(result):
    return result.is_error if hasattr(result, "is_error") else result.isError


asyncio.run(main())
