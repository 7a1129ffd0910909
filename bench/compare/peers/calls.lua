-- wrk: sends the requests of a file, each ended by a byte 30, one after the other,
-- over and over, and prints what it measured as one line of JSON.
local requests, i = {}, 0
function init(args)
  local f = assert(io.open(args[1], "rb"))
  local all = f:read("*a")
  f:close()
  for r in all:gmatch("[^\30]+") do requests[#requests + 1] = r end
end
function request()
  i = i + 1
  if i > #requests then i = 1 end
  return requests[i]
end
function done(s, latency)
  local e = s.errors
  print(string.format('{"requests":%d,"micros":%d,"p50":%d,"p99":%d,"status":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d}',
    s.requests, s.duration, latency:percentile(50), latency:percentile(99), e.status, e.connect, e.read, e.write, e.timeout))
end
