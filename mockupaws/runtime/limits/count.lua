-- Counts the units of several limits at once: all of them, or none. One round trip, atomic, by the server's own clock.
-- KEYS[i]: the counter of one limit, a hash. ARGV: FIELDS values for each key, in this order:
--   limit, seconds of the window, slides (1/0), cost, lease (units beyond the cost, as far as there are any),
--   settle (units used and not counted yet; negative: leased and not used), the window they were leased in,
--   epoch, count and previous as the caller last saw them, refusals it gave since without asking.
-- Answers {admitted (1/0), then FIELDS_BACK values for each key}.
local FIELDS = 11
local KEPT_SECONDS = 172800
local MARK_SECONDS = 600
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local admitted = 1
local counters = {}

for i, key in ipairs(KEYS) do
    local from = (i - 1) * FIELDS
    local limit, seconds = tonumber(ARGV[from + 1]), tonumber(ARGV[from + 2])
    local slides, cost, lease = ARGV[from + 3] == '1', tonumber(ARGV[from + 4]), tonumber(ARGV[from + 5])
    local settle, leased_in = tonumber(ARGV[from + 6]), tonumber(ARGV[from + 7])
    local known_epoch, known_count = ARGV[from + 8], tonumber(ARGV[from + 9])
    local known_previous, refusals = tonumber(ARGV[from + 10]), tonumber(ARGV[from + 11])
    local window = math.floor(now / seconds)
    local day = math.floor(now / 86400)
    local held = redis.call('HMGET', key, 'window', 'count', 'previous', 'epoch', 'day', 'refused', 'refused_at',
                            'older_at', 'older', 'newer_at', 'newer')
    local counter = {
        window = tonumber(held[1]) or window, count = tonumber(held[2]) or 0, previous = tonumber(held[3]) or 0,
        epoch = held[4] or string.format('%.0f', now * 1000000), refused = tonumber(held[6]) or 0,
        refused_at = tonumber(held[7]) or 0, older_at = tonumber(held[8]) or now, older = tonumber(held[9]) or 0,
        newer_at = tonumber(held[10]) or now, newer = tonumber(held[11]) or 0,
    }
    -- A window that lies ahead means that the server's clock went back: its count stands, so that a clock opens nothing
    -- and locks nobody out for longer than a window.
    local passed = window - counter.window
    if passed > 0 then
        counter.previous = passed == 1 and counter.count or 0
        counter.count, counter.older, counter.newer = 0, 0, 0
        counter.older_at, counter.newer_at = now, now
    end
    counter.window = window
    if tonumber(held[5]) ~= day then
        counter.refused = 0
    end
    -- The counter was lost (flushed, evicted, restarted) and begun anew: what the caller saw before stands.
    if known_epoch ~= '' and known_epoch ~= counter.epoch then
        if leased_in == window then
            counter.count = math.max(counter.count, known_count)
            counter.previous = math.max(counter.previous, known_previous)
        elseif leased_in == window - 1 then
            counter.previous = math.max(counter.previous, known_count)
        end
    end
    if settle > 0 or leased_in == window then
        counter.count = math.max(0, counter.count + settle)
    end
    if not slides and now - counter.newer_at >= MARK_SECONDS then
        counter.older_at, counter.older = counter.newer_at, counter.newer
        counter.newer_at, counter.newer = now, counter.count
    end
    local elapsed = now - window * seconds
    local fading = slides and counter.previous * (1 - elapsed / seconds) or 0
    counter.room = limit - counter.count - fading
    counter.cost, counter.lease, counter.refusals, counter.elapsed, counter.day = cost, lease, refusals, elapsed, day
    -- What is larger than the whole limit waits until nothing is used, and overdraws it then.
    counter.refuses = cost > 0 and math.min(cost, limit) > counter.room + 0.000001
    if counter.refuses then
        admitted = 0
    end
    counters[i] = counter
end

local answer = { admitted }
for i, key in ipairs(KEYS) do
    local counter = counters[i]
    local leased = 0
    if admitted == 1 then
        leased = math.floor(math.max(0, math.min(counter.lease, counter.room - counter.cost)))
        counter.count = counter.count + counter.cost + leased
        counter.room = counter.room - counter.cost - leased
    elseif counter.refuses then
        counter.refusals = counter.refusals + 1
    end
    if counter.refusals > 0 then
        counter.refused, counter.refused_at = counter.refused + counter.refusals, now
    end
    redis.call('HSET', key, 'window', counter.window, 'count', counter.count, 'previous', counter.previous,
               'epoch', counter.epoch, 'day', counter.day, 'refused', counter.refused, 'refused_at', counter.refused_at,
               'older_at', counter.older_at, 'older', counter.older, 'newer_at', counter.newer_at, 'newer', counter.newer)
    redis.call('EXPIRE', key, KEPT_SECONDS)
    local values = { counter.refuses and 1 or 0, leased, counter.window, counter.count, counter.previous, counter.epoch,
                     math.floor(counter.elapsed * 1000), math.floor(counter.room), counter.refused,
                     math.floor(counter.refused_at), math.floor(counter.count - counter.older),
                     math.floor((now - counter.older_at) * 1000) }
    for _, value in ipairs(values) do
        table.insert(answer, value)
    end
end
return answer
