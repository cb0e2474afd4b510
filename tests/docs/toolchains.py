"""The compilers that snippets in Go and Java need: what of them is missing here, and the environment of their commands.

    TOOLCHAINS["go"].missing()                              [] or what is not there, as a user would look for it
    TOOLCHAINS["go"].environment(workspace, scratch)        to be added to the environment of its commands

Everything comes from Debian's packages (scripts/setup), nothing is downloaded while a snippet is compiled.
"""

import dataclasses
import os
import pathlib
import shutil
import typing

GO_PACKAGES = pathlib.Path("/usr/share/gocode")
JARS = pathlib.Path("/usr/share/java")


def no_settings(workspace, scratch):
    return {}


def go_settings(workspace, scratch):
    """Modules off: imports are looked up in folders. A folder NAME of the workspace is the package example.com/NAME."""
    path = scratch / "gopath"
    (path / "src").mkdir(parents=True)
    (path / "src/example.com").symlink_to(workspace)
    cache = pathlib.Path(os.environ.get("SPARSEFUSION_CACHE") or pathlib.Path.home() / ".cache/sparsefusion")
    return {"GO111MODULE": "off", "GOPATH": f"{path}:{GO_PACKAGES}", "GOCACHE": str(cache / "go-build"), "GOFLAGS": "",
            "GOPROXY": "off", "GOTOOLCHAIN": "local"}


@dataclasses.dataclass(frozen=True)
class Toolchain:
    commands: tuple
    files: tuple
    environment: typing.Callable = no_settings

    def missing(self):
        return ([command for command in self.commands if shutil.which(command) is None]
                + [str(file) for file in self.files if not file.exists()])


TOOLCHAINS = {
    "go": Toolchain(
        ("protoc", "go", "protoc-gen-go", "protoc-gen-go-grpc"),
        (GO_PACKAGES / "src/google.golang.org/grpc", GO_PACKAGES / "src/google.golang.org/protobuf"), go_settings),
    "java": Toolchain(
        ("protoc", "javac", "java", "grpc_java_plugin"),
        tuple(JARS / f"{name}.jar" for name in ("grpc-netty", "netty-transport", "perfmark-api", "protobuf", "guava",
                                                "geronimo-annotation-1.3-spec"))),
}
