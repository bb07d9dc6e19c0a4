"""The caller's __main__, made again in a worker, so that functions of a script can be called there.

As multiprocessing's spawn does it: the script is run under the name __mp_main__, so what `if __name__ == "__main__"` guards is not.
A script without that guard works too: where it would submit something, running it again stops; what it has defined until then
is there. Of what stands below that, functions, classes, imports and constants are made too, each as far as it can be."""
import os
import sys
import traceback

running = False  # while the caller's main is being run again


class Reached(BaseException):
    """The script came to where it submits something."""


def is_script():
    """Whether a worker can run the caller's main again; not so what was typed in, or came through a pipe."""
    main = sys.modules["__main__"]
    spec, path = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    return spec is not None and bool(spec.name) or bool(path) and not os.path.basename(path).startswith("<")


def _umask():
    """os.umask would change it for a moment, in all threads."""
    with open("/proc/self/status") as f:
        return next((int(line.split()[1], 8) for line in f if line.startswith("Umask:")), None)


def describe():
    """What a worker needs to know of this process; plain data."""
    main = sys.modules["__main__"]
    about = {"path": [p or os.getcwd() for p in sys.path], "argv": list(sys.argv), "cwd": os.getcwd(), "umask": _umask()}
    process = sys.modules.get("multiprocessing.process")
    if process is not None:
        about["authkey"] = bytes(process.current_process().authkey)
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        about["main_name"] = spec.name
    elif getattr(main, "__file__", None):
        about["main_path"] = os.path.abspath(main.__file__)
    return about


def assume(about):
    """Becomes like the process that was described; in a worker, once."""
    sys.path[:] = about["path"]
    sys.argv[:] = about["argv"]
    try:
        os.chdir(about["cwd"])
    except OSError:
        pass  # it may be gone by now; then so is whatever wanted it
    if about["umask"] is not None:
        os.umask(about["umask"])
    if "authkey" in about:
        from multiprocessing import process
        process.current_process().authkey = about["authkey"]
    name, path = about.get("main_name"), about.get("main_path")
    if name is not None and name != "__main__" and not name.endswith(".__main__"):
        _run_by_name(name)
    elif path is not None and os.path.splitext(os.path.basename(path))[0] not in ("ipython", "__main__"):
        _run_by_path(path)


def _run_by_name(name):
    from importlib.util import find_spec
    spec = find_spec(name)
    if spec is not None and spec.loader is not None:
        _run(spec.loader.get_code(name), getattr(spec.loader, "get_source", lambda name: None)(name), spec.origin, spec)


def _run_by_path(path):
    import io
    try:
        with io.open_code(path) as f:
            source = f.read()
    except FileNotFoundError:
        return  # "<stdin>" and the like
    sys.path_importer_cache.pop(os.path.dirname(path), None)
    _run(compile(source, path, "exec"), source, path, None)


def _run(code, source, path, spec):
    global running
    from types import ModuleType
    module = ModuleType("__mp_main__")
    module.__file__ = path
    if spec is not None:
        module.__spec__, module.__package__, module.__loader__ = spec, spec.parent, spec.loader
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module
    running = True
    try:
        exec(code, module.__dict__)
    except Reached as e:
        at = [line for frame, line in traceback.walk_tb(e.__traceback__) if frame.f_code is code]
        if source is not None and at:
            import ast
            _define_below(ast.parse(source).body, at[0], path, module.__dict__)
    finally:
        running = False


def _define_below(statements, line, path, names):
    import ast
    for node in statements:
        if isinstance(node, (ast.With, ast.Try)):
            _define_below(node.body, line, path, names)
        if node.lineno > line and _only_defines(node):
            try:
                exec(compile(ast.Module([node], []), path, "exec"), names)
            except (Exception, Reached):
                pass  # it wants something that is not there


def _only_defines(node):
    import ast
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
        try:
            ast.literal_eval(node.value)
            return True
        except ValueError:
            return False
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom))
