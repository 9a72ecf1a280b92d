"""Prints one line for each thing in a tree, with all that a program could see of it."""

import hashlib
import os
import stat
import sys


def describe(path: str, links: dict[int, str]) -> str:
    status = os.lstat(path)
    content: object = ""
    if stat.S_ISLNK(status.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            content = hashlib.sha256(file.read()).hexdigest()
    attributes = [
        (name, os.getxattr(path, name, follow_symlinks=False)) for name in os.listxattr(path, follow_symlinks=False)
    ]
    alone = stat.S_ISDIR(status.st_mode)
    linked = "" if alone else links.setdefault(status.st_ino, path)
    # A file with holes takes less than it holds; how much exactly is up to the disk.
    holes = stat.S_ISREG(status.st_mode) and status.st_size > 1 << 20 and status.st_blocks * 512 < status.st_size // 2
    seen = (
        oct(status.st_mode),
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
        linked,
        0 if alone else status.st_nlink,
    )
    return f"{path} {seen} {holes} {content} {sorted(attributes)} {status.st_rdev}"


def main(root: str) -> None:
    links: dict[int, str] = {}
    print(describe(root, links))
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(folders + files):
            print(describe(os.path.join(folder, name), links))


main(sys.argv[1])
