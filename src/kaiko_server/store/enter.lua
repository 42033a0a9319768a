-- Counts a request in if every limit lets it pass, else nothing. One script, so that nobody comes between looking and counting.
-- KEYS: times of the last minute; tickets inside, by when they count no more; tokens of the month.
-- ARGV: now (0: this server's clock), ticket, per minute, concurrent, tokens a month, tokens used so far, tokens reserved, lease.
-- Gives: 0 or the number of the limit that refuses, requests in the last minute, time of the oldest, tickets inside, tokens, now.
local now = tonumber(ARGV[1])
if now == 0 then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
end
local ticket, minute, concurrent, most = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local lease = tonumber(ARGV[8])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - 60000000))
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now))
local passed, inside, tokens = redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2]), 0
if most > 0 then
  redis.call('SET', KEYS[3], ARGV[6], 'NX', 'EX', 3456000)
  tokens = tonumber(redis.call('GET', KEYS[3]))
end
local refused = 0
if redis.call('ZSCORE', KEYS[2], ticket) then
  refused = 0 -- asked again, because the answer was lost
elseif minute > 0 and passed >= minute then
  refused = 1
elseif concurrent > 0 and inside >= concurrent then
  refused = 2
elseif most > 0 and tokens >= most then
  refused = 3
else
  if minute > 0 then
    redis.call('ZADD', KEYS[1], string.format('%.0f', now), ticket)
    redis.call('PEXPIRE', KEYS[1], 60000)
    passed = passed + 1
  end
  redis.call('ZADD', KEYS[2], string.format('%.0f', now + lease), ticket)
  redis.call('PEXPIRE', KEYS[2], string.format('%.0f', lease / 1000))
  inside = inside + 1
  if most > 0 then
    tokens = redis.call('INCRBY', KEYS[3], ARGV[7])
  end
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {refused, passed, oldest[2] or string.format('%.0f', now), inside, tokens}
