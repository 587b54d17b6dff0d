"""Verifies an audit log without any code of Bauta's: python3 verify.py KEY_HEX FILE... (oldest first)."""
import hashlib
import hmac
import json
import sys

key, previous, expected = bytes.fromhex(sys.argv[1]), None, None
for path in sys.argv[2:]:
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            where = f"{path}, line {number}"
            if not line.endswith(b"\n"):
                sys.exit(f"{where}: unfinished, as a crash leaves it")
            body, record = line[:-75], json.loads(line)  # all but `,"mac":"` + 64 digits + `"}` and the line feed
            if hmac.new(key, body, hashlib.sha256).hexdigest() != record["mac"] or line[-75:-67] != b',"mac":"':
                sys.exit(f"{where}: edited, or another key")
            if (record["seq"], record["prev"]) != (expected or record["seq"], previous or record["prev"]):
                sys.exit(f"{where}: record {record['seq']} does not follow record {(expected or 1) - 1}")
            previous, expected = record["mac"], record["seq"] + 1
print(f"whole up to record {(expected or 1) - 1}")
