# Starts a server in a session of its own and ends it with everything that it started, as soon as standard input ends:
# that is when the program of the tests ends, whichever way. Till then each line there is answered with what is stored.
#     python keeper.py WHICH FOLDER DATABASE COMMAND...
import json, os, shutil, signal, sqlite3, subprocess, sys, threading

which, folder, database, command = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
answers = os.fdopen(os.dup(1), "w")
log = open(os.path.join(folder, "server.log"), "wb")
os.dup2(log.fileno(), 1)
os.dup2(log.fileno(), 2)
child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, start_new_session=True)
ending = threading.Lock()


def end(code):
    # Whoever comes second waits for the end.
    ending.acquire()
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()
    if code == 0:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(code)


def look_after():
    child.wait()
    end(1)


threading.Thread(target=look_after, daemon=True).start()


def rows(statement):
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return connection.execute(statement).fetchall()


def mlflow():
    """name -> what is stored, as the server's own library decrypts it"""
    from mlflow.utils.crypto import KEKManager, _decrypt_secret

    passphrase, found = os.environ["MLFLOW_CRYPTO_KEK_PASSPHRASE"], {}
    columns = "secret_id, secret_name, encrypted_value, wrapped_dek, kek_version"
    for id, name, value, key, version in rows(f"select {columns} from secrets"):
        found[name] = _decrypt_secret(value, key, KEKManager(passphrase, version), id, name)
    return found


def contextforge():
    """name -> key and configuration, as the server's own library decrypts them"""
    from mcpgateway.utils.services_auth import decode_auth

    secret, mark = os.environ["AUTH_ENCRYPTION_SECRET"], "_mcpgateway_encrypted_value_v1"

    def plain(part):
        if isinstance(part, dict) and isinstance(part.get(mark), str):
            return decode_auth(part[mark], secret=secret)["data"]
        if isinstance(part, dict):
            return {name: plain(value) for name, value in part.items()}
        return [plain(value) for value in part] if isinstance(part, list) else part

    def key(text):
        return decode_auth(text, secret=secret)["api_key"] if text else None

    found = rows("select name, api_key, config from llm_providers")
    return {name: {"api_key": key(text), "config": plain(json.loads(config))} for name, text, config in found}


look = {"mlflow": mlflow, "contextforge": contextforge}[which]
for _ in sys.stdin:
    answers.write(json.dumps(look()) + "\n")
    answers.flush()
end(0)
