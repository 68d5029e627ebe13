"""smolagents: an agent that calls tools, with a model of an OpenAI-like API."""

from here import ENVIRONMENT, HEADERS, MODEL, SERVER, TRANSPORT, URL
from mcp import StdioServerParameters
from smolagents import OpenAIModel, ToolCallingAgent, ToolCollection

if TRANSPORT == "stdio":
    server = StdioServerParameters(command=SERVER, args=[], env=ENVIRONMENT)
else:
    server = {"url": URL, "transport": "streamable-http", "headers": HEADERS}

model = OpenAIModel("gpt-5.2", api_base=f"{MODEL}/v1", api_key="none")
with ToolCollection.from_mcp(server, trust_remote_code=True, structured_output=False) as collection:
    agent = ToolCallingAgent(tools=[*collection.tools], model=model, max_steps=8, verbosity_level=0)
    agent.run("What is in the shop?")
