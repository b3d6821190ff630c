"""Deploys a component, spawns a Soul of it, follows its events, and talks to it:

    python deploy.py 127.0.0.1:7777 data/token guests/out/counter.wasm ada 'add 3' 'add 4'

The address may be a socket, too: unix:data/matrixd.sock. What it imports of `matrix` is generated from `proto/`: see README.md.
"""

import hashlib
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc

from matrix.v1 import common_pb2 as common
from matrix.v1 import components_pb2 as components
from matrix.v1 import components_pb2_grpc as components_grpc
from matrix.v1 import events_pb2 as events
from matrix.v1 import events_pb2_grpc as events_grpc
from matrix.v1 import souls_pb2 as souls
from matrix.v1 import souls_pb2_grpc as souls_grpc

#: Bytes in a chunk of an upload; a node takes up to 1 MiB.
CHUNK_BYTES = 64 * 1024

Metadata = tuple[tuple[str, str], ...]


def parts(name: str, data: bytes) -> Iterator[components.UploadRequest]:
    """The messages of an upload: what comes, then its bytes."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    header = components.UploadHeader(name=name, size=len(data), digest=digest, request_id=str(uuid.uuid4()))
    yield components.UploadRequest(header=header)
    for at in range(0, len(data), CHUNK_BYTES):
        yield components.UploadRequest(chunk=data[at : at + CHUNK_BYTES])


def tell(told: Iterator[events.SubscribeResponse]) -> None:
    """Tells events until the Soul has stopped, or `told` is cancelled."""
    try:
        for step in told:
            if step.HasField("missed"):
                print(f"missed events {getattr(step.missed, 'from')} to {step.missed.to}", flush=True)
                continue
            print(f"event {step.event.kind} {step.event.source}", flush=True)
            if step.event.kind == "soul.stopped":
                return
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.CANCELLED:
            print(f"events: {error.code().name}: {error.details()}", file=sys.stderr, flush=True)


def run(channel: grpc.Channel, token: Metadata, component: Path, name: str, sayings: list[str]) -> None:
    upload = components_grpc.ComponentsStub(channel).Upload(parts(component.stem, component.read_bytes()), metadata=token)
    digest = upload.component.digest
    print(f"component {digest}", flush=True)

    told = events_grpc.EventsStub(channel).Subscribe(events.SubscribeRequest(sources=[f"soul:{name}"]), metadata=token)
    told.initial_metadata()  # The node has begun to tell.
    following = threading.Thread(target=tell, args=(told,))
    following.start()

    node = souls_grpc.SoulsStub(channel)
    manifest = souls.SoulManifest(name=name, component=digest)
    try:
        node.Spawn(souls.SpawnRequest(manifest=manifest, request_id=str(uuid.uuid4())), metadata=token)
        for saying in sayings:
            question = souls.AskRequest(
                recipient=common.Address(soul=name),
                content=common.Content(content_type="text/plain", body=saying.encode()),
            )
            print(f"{name}: {node.Ask(question, metadata=token).reply.body.decode()}", flush=True)
        node.Stop(souls.StopSoulRequest(name=name, request_id=str(uuid.uuid4())), metadata=token)
        following.join()
    finally:
        told.cancel()


def main() -> None:
    if len(sys.argv) < 5:
        sys.exit("usage: python deploy.py ADDRESS TOKEN_FILE COMPONENT SOUL [SAYING]...")
    address, token_file, component, name, *sayings = sys.argv[1:]
    token = (("authorization", f"Bearer {Path(token_file).read_text().strip()}"),)
    # With TLS: grpc.secure_channel(address, grpc.ssl_channel_credentials(Path("ca.pem").read_bytes())).
    # What gRPC would call a socket, no HTTP server takes for a host.
    options = [("grpc.default_authority", "localhost")] if address.startswith("unix:") else []
    with grpc.insecure_channel(address, options) as channel:
        try:
            run(channel, token, Path(component), name, sayings)
        except grpc.RpcError as error:
            # What is wrong, where, and what to change is in the details.
            sys.exit(f"{error.code().name}: {error.details()}")


if __name__ == "__main__":
    main()
