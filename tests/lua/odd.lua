-- Functions that do one odd thing each, for the tests of pools: the Lua twins of those in tests/modules/testing.c.

function noop() end

function echo(value)
	return value
end

function add(a, b)
	return a + b
end

function types(...)
	local names = {}
	for i = 1, select("#", ...) do names[i] = math.type((select(i, ...))) or type((select(i, ...))) end
	return names
end

function fail(data)
	error{type = "CustomError", message = "it was me", data = data}
end

function progress()
	futured.progress(1, 4, "begun")
	futured.progress(2.5)
end

function print_all()
	print("printed")
	io.stderr:write("to stderr\n")
end

-- Waits until a file is there, in Lua's own code.
function until_file(path)
	while true do
		local file = io.open(path)
		if file then
			file:close()
			return
		end
		os.execute("sleep 0.01")
	end
end

function until_stopped(consent)
	while not futured.stopped() do os.execute("sleep 0.01") end
	if consent then futured.give_up() end
	return "went on"
end

function spin()
	while true do end
end

-- Sits in another program, where there is no code of ours to interrupt.
function stuck()
	os.execute("sleep 600")
end

function mark(path)
	local file = assert(io.open(path, "a"))
	file:setvbuf("full", 256)
	file:write(("%d\n"):format(futured.id))
	file:close()
end

local warmth = 0

function set_warmth(degrees)
	warmth = degrees
	if degrees < 0 then error{type = "ColdError", message = ("it is %d degrees"):format(degrees)} end
end

function get_warmth()
	return warmth
end

function context()
	return {futured.id, futured.attempt, futured.pool, futured.address, futured.secret}
end

function crash()
	os.execute("kill -SEGV $PPID; sleep 10")
end

function leave(status)
	os.exit(status)
end

function shell(command)
	return select(3, os.execute(command))
end

function shell_as_task(command)
	return shell(("FUTURED_ADDRESS='%s' FUTURED_TASK='%s'; export FUTURED_ADDRESS FUTURED_TASK; %s"):format(
		futured.address, futured.secret, command))
end
