-- Tasks for a pool of kind interpreter: every global function is one, and so is every function in a global table
-- ("text.words"). Each worker has a state of its own, which stays from task to task; nothing is shared between workers.
-- `exec` and `eval`, which run source text, are there without being written; a script that does not want them says
-- exec, eval = nil, nil.

function noop() end

function echo(value)
	return value
end

function add(a, b)
	return a + b
end

local function is_prime(n)
	if n % 2 == 0 or n % 3 == 0 then return n == 2 or n == 3 end
	local d = 5
	while d * d <= n do
		if n % d == 0 or n % (d + 2) == 0 then return false end
		d = d + 6
	end
	return n > 1
end

-- By trial division, on purpose: it is here to keep a processor busy. It need not ask whether it should stop:
-- a state is interrupted wherever its code runs.
function count_primes(limit)
	local count = 0
	for n = 2, limit - 1 do
		if n % 1048576 == 0 then futured.progress(n, limit) end
		if is_prime(n) then count = count + 1 end
	end
	return count
end

-- An error is a string, or a table whose fields the client gets.
function count_words(path)
	local file, why, errno = io.open(path, "rb")
	if not file then
		error{type = "FileNotFoundError", message = why, data = {errno = errno, path = path}}
	end
	local lines, words, bytes = 0, 0, 0
	for line in file:lines("L") do
		lines = lines + (line:sub(-1) == "\n" and 1 or 0)
		for _ in line:gmatch("%S+") do words = words + 1 end
		bytes = bytes + #line
	end
	file:close()
	return {lines = lines, words = words, bytes = bytes}
end

-- What sleeps in another program has no code of ours running that could be interrupted: so it asks.
function wait(seconds)
	local naps = math.ceil(seconds / 0.05)
	for _ = 1, naps do
		if futured.stopped() then futured.give_up() end
		os.execute("sleep 0.05")
	end
	return naps * 0.05
end

text = {}

function text.words(s)
	local words = {}
	for word in s:gmatch("%S+") do words[#words + 1] = word end
	return words
end

-- The state stays: each worker counts its own calls.
local calls = 0

function counter()
	calls = calls + 1
	return calls
end

-- An initializer is a function like any other: the pool names it, and it runs once in each worker.
function warm_up(...)
	futured.log("info", "a worker of pool " .. futured.pool .. " is warm")
end
