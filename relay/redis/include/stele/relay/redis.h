// A relay's way to Redis Streams. Link stele::relay_redis.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "stele/export.h"
#include "stele/relay.h"

namespace stele {

/// Adds each event to one Redis Stream (Redis 5 or later), exactly once. Its URL:
///
///     redis://[[user]:password@]host[:port][/database]?stream=NAME[&maxlen=N][&timeout=10s]
///
/// An entry has the fields `event` (a line of JSON, as in an export), `id`, `type`, `tenant`, `stream` ("type/id"),
/// `relay` and `relay_tenant`: who wrote it. Its entry id is "<position>-<n>", n counting from 0 what an upcaster made
/// of one event. Redis takes no id that is not above the stream's last one. So the events of a call are added in one
/// transaction, all or none, behind a look at what is there, which is watched meanwhile: what is there already is not
/// added again when events come twice, also from two processes at once, and counts as published.
///
/// Therefore a stream belongs to one relay of one store, with one filter. publish() throws invalid_argument instead of
/// leaving an event out: when the newest entry is of somebody else and not below the events, when an entry is that of
/// another event, or when one is missing that has never been there. The last of these shows with Redis 7 or later, and
/// unless all that is older or something that is newer was deleted. When every entry was, only the last id is left to
/// go by, and it has to be below the events or that of one of them.
///
/// `maxlen` keeps about so many entries (Redis drops whole nodes of them). `timeout` is for connecting and for each
/// answer. What was published is as safe as that Redis keeps it: see its appendfsync, and its replication.
class STELE_API RedisPublisher final : public Publisher {
 public:
  /// `relay`: the relay's name, and `tenant` whose events it hands on; empty: all tenants'. Relays are known by both.
  /// Connects with the first publish(). Throws invalid_argument for a bad URL.
  RedisPublisher(std::string_view url, std::string relay, std::string tenant = {});
  ~RedisPublisher() override;

  /// Throws cannot_connect, io for an answer that is lost or an error, invalid_argument for a stream that cannot take
  /// the events. All but the last are retryable; the next call connects anew. No message holds a password or a payload.
  void publish(std::span<const RecordedEvent> events) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stele
