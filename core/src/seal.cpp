#include "stele/seal.h"

#include <algorithm>
#include <list>
#include <set>
#include <unordered_map>
#include <utility>

#include "stele/driver/driver.h"

namespace stele {
namespace {

using driver::EventHash;
using driver::EventPlace;

void check_sees_all(EventStore& store) {
  if (store.tenant()) {
    throw Error(ErrorCode::permission_denied, "seals are of the whole store, and this one is open for one tenant");
  }
  if (store.clearance() != Clearance::secrets) {
    throw Error(ErrorCode::permission_denied, "seals are of all that is stored, and this store's clearance is " +
                                                  std::string(to_string(store.clearance())));
  }
}

EventPlace place_of(const RecordedEvent& event) {
  return {event.stream, event.version};
}

/// What a link is made of: an event without its payload.
struct Sealed {
  EventPlace place;
  Position position;
  Timestamp recorded_at;
  ChainHash content{};
};

/// The last link of the streams that were met lately; the others' come from the database.
class LastLinks {
 public:
  explicit LastLinks(driver::Driver& driver) : driver_(driver) {}

  /// Of the version before this one; nullopt when there is none in the database.
  std::optional<ChainHash> before(const EventPlace& place) {
    if (place.version == Version(1)) return ChainHash{};
    const EventPlace previous = place_before(place);
    if (const ChainHash* link = find(previous)) return *link;
    const std::optional<EventHash> hash = driver_.find_hashes({&previous, 1}).at(0);
    return hash ? std::optional(hash->link) : std::nullopt;
  }

  /// Asks for all that these events, at most 1,000, need from the database: once, instead of once for each stream.
  void look_up(std::span<const Sealed> events) {
    std::vector<EventPlace> wanted;
    std::set<StreamKey> met;
    for (const Sealed& event : events) {
      if (!met.insert(event.place.stream).second || event.place.version == Version(1)) continue;
      const EventPlace previous = place_before(event.place);
      if (find(previous) == nullptr) wanted.push_back(previous);
    }
    if (wanted.empty()) return;
    const std::vector<std::optional<EventHash>> hashes = driver_.find_hashes(wanted);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (hashes.at(i)) set(wanted[i], hashes[i]->link);
    }
  }

  void set(const EventPlace& place, const ChainHash& link) {
    const auto [at, is_new] = links_.try_emplace(place.stream);
    if (is_new) {
      order_.push_back(place.stream);
      if (order_.size() > most) {
        links_.erase(order_.front());
        order_.pop_front();
      }
    }
    at->second = {place.version, link};
  }

  void clear() {
    links_.clear();
    order_.clear();
  }

 private:
  static constexpr std::size_t most = 20'000;

  static EventPlace place_before(const EventPlace& place) { return {place.stream, Version(place.version.value() - 1)}; }

  const ChainHash* find(const EventPlace& place) const {
    const auto known = links_.find(place.stream);
    return known != links_.end() && known->second.version == place.version ? &known->second.link : nullptr;
  }

  struct Link {
    Version version;
    ChainHash link{};
  };
  struct HashKey {
    std::size_t operator()(const StreamKey& key) const noexcept {
      const std::hash<std::string> hash;
      return hash(key.tenant) ^ (hash(key.type) * 31) ^ (hash(key.id) * 1'000'003);
    }
  };

  driver::Driver& driver_;
  std::unordered_map<StreamKey, Link, HashKey> links_;
  std::list<StreamKey> order_;
};

LogReadOptions stored_log(Position after, Position to) {
  LogReadOptions options;
  options.after = after;
  options.before = Position(to.value() + 1);
  options.as_stored = true;
  return options;
}

/// The next events, at most `count`. `more` becomes false when there are fewer.
std::vector<Sealed> contents(EventReader& reader, std::size_t count, bool& more) {
  std::vector<Sealed> events;
  while (events.size() < count) {
    const RecordedEvent* event = reader.next();
    if (event == nullptr) {
      more = false;
      break;
    }
    events.push_back({place_of(*event), event->position, event->recorded_at, content_hash(*event)});
  }
  return events;
}

EventHash seal_event(const Sealed& event, LastLinks& links) {
  const std::optional<ChainHash> previous = links.before(event.place);
  if (!previous) {
    throw Error(ErrorCode::tampered, event.place.stream.to_string() + " version " +
                                         std::to_string(event.place.version.value()) +
                                         " cannot be sealed: the event before it is not there, or has no hash");
  }
  const ChainHash link = chain_link(*previous, event.place.version, event.recorded_at, event.position, event.content);
  links.set(event.place, link);
  return {event.position, event.content, link};
}

}  // namespace

SealResult seal_log(EventStore& store, std::size_t events_in_a_seal) {
  check_sees_all(store);
  if (events_in_a_seal < 1) throw Error(ErrorCode::invalid_argument, "events_in_a_seal: must be at least 1");
  driver::Driver& driver = store.driver();
  SealResult result;
  LastLinks links(driver);
  const Position end = driver.settled_position();
  for (;;) {
    result.last = driver.last_seal();
    const Position after = result.last ? result.last->to : Position(0);
    if (after >= end) return result;
    LogSealBuilder builder(result.last ? &*result.last : nullptr);
    std::vector<EventHash> hashes;
    EventReader reader = store.read_log(stored_log(after, end));
    bool more = true;
    while (more && hashes.size() < events_in_a_seal) {
      constexpr std::size_t at_once = 1'000;
      const std::vector<Sealed> events = contents(reader, std::min(at_once, events_in_a_seal - hashes.size()), more);
      links.look_up(events);
      for (const Sealed& event : events) {
        const EventHash hash = seal_event(event, links);
        builder.add(hash.position, hash.link);
        hashes.push_back(hash);
      }
    }
    if (hashes.empty()) return result;
    const LogSeal seal = builder.finish(more ? hashes.back().position : end);
    if (!driver.add_seal(seal, hashes)) {  // Another has sealed meanwhile.
      links.clear();
      continue;
    }
    ++result.seals;
    result.events += seal.events;
  }
}

std::optional<Checkpoint> make_checkpoint(EventStore& store, std::string name) {
  check_sees_all(store);
  driver::Driver& driver = store.driver();
  const std::optional<LogSeal> last = driver.last_seal();
  if (!last) return std::nullopt;
  Checkpoint checkpoint;
  checkpoint.store = std::move(name);
  checkpoint.made_at = Timestamp::now();
  checkpoint.seal_number = last->number;
  checkpoint.position = last->to;
  checkpoint.seal_hash = last->hash;
  constexpr std::size_t page = 1'000;
  for (std::int64_t after = 0; after < last->number;) {
    const std::vector<LogSeal> seals = driver.list_seals(after, page);
    for (const LogSeal& seal : seals) {
      if (seal.number <= last->number) checkpoint.events += seal.events;
    }
    if (seals.size() < page) break;
    after = seals.back().number;
  }
  return checkpoint;
}

namespace {

class ChainCheck {
 public:
  ChainCheck(EventStore& store, const ChainOptions& options)
      : store_(store), driver_(store.driver()), options_(options), links_(driver_) {}

  ChainReport run() {
    const Position end = driver_.settled_position();
    const std::optional<LogSeal> last = driver_.last_seal();
    sealed_to_ = last ? last->to : Position(0);
    constexpr std::size_t page = 100;
    for (std::int64_t after = 0;;) {
      const std::vector<LogSeal> seals = driver_.list_seals(after, page);
      for (const LogSeal& seal : seals) {
        check(seal, end);
        if (full()) return finish();
      }
      if (seals.size() < page) break;
      after = seals.back().number;
    }
    check_checkpoint();
    for (const RecordedEvent& event : store_.read_log(stored_log(sealed_to_, end))) {
      static_cast<void>(event);
      ++report_.events_unsealed;
    }
    return finish();
  }

 private:
  // Positions of events that are gone may become one fault with their stream's gap, so one more may be there than asked
  // for.
  bool full() const {
    return faults_.size() + of_seals_.size() >= options_.max_faults || removed_.size() > options_.max_faults;
  }

  ChainReport finish() {
    name_removed();
    std::stable_sort(faults_.begin(), faults_.end(),
                     [](const ChainFault& a, const ChainFault& b) { return a.position < b.position; });
    report_.faults = std::move(faults_);
    report_.faults.insert(report_.faults.end(), of_seals_.begin(), of_seals_.end());
    if (report_.faults.size() > options_.max_faults) {
      report_.faults.erase(report_.faults.begin() + static_cast<std::ptrdiff_t>(options_.max_faults),
                           report_.faults.end());
    }
    return std::move(report_);
  }

  void of_seal(ChainFault::Kind kind, Position position, std::string what) {
    of_seals_.push_back({kind, std::nullopt, Version(0), position, std::nullopt, std::move(what)});
  }

  void check(const LogSeal& seal, Position end) {
    ++report_.seals;
    const std::int64_t number = previous_ ? previous_->number + 1 : 1;
    const Position after = previous_ ? previous_->to : Position(0);
    if (seal.number != number || seal.after != after) {
      of_seal(ChainFault::Kind::removed, after,
              "seal " + std::to_string(number) + " is missing, or does not begin where the one before it ends");
    }
    try {
      LogSealBuilder builder(previous_ ? &*previous_ : nullptr);
      if (!check_range(seal, builder)) return;
      const LogSeal anew = builder.finish(seal.to);
      if (const std::optional<ChainFault> fault = compare_seals(seal, anew)) of_seals_.push_back(*fault);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid_argument) throw;
      of_seal(ChainFault::Kind::changed, seal.after, "seal " + std::to_string(seal.number) + ": " + error.message());
    }
    previous_ = seal;
    if (options_.checkpoint && options_.checkpoint->seal_number == seal.number) of_checkpoint_ = seal;
    if (options_.on_progress) options_.on_progress(seal.to.value(), end.value());
  }

  /// Events and hashes side by side, in the order of positions. False when it did not go to the end.
  bool check_range(const LogSeal& seal, LogSealBuilder& builder) {
    EventReader reader = store_.read_log(stored_log(seal.after, seal.to));
    const RecordedEvent* event = reader.next();
    constexpr std::size_t page = 1'000;
    for (Position after = seal.after;;) {
      const std::vector<EventHash> hashes = driver_.read_hashes(after, seal.to, page);
      for (const EventHash& hash : hashes) {
        for (; event != nullptr && event->position < hash.position; event = reader.next()) inserted(*event);
        if (full()) return false;
        builder.add(hash.position, hash.link);
        if (event == nullptr || event->position != hash.position) {
          removed_.push_back(hash.position);
          continue;
        }
        check(*event, hash);
        event = reader.next();
      }
      if (hashes.size() < page) break;
      after = hashes.back().position;
    }
    for (; event != nullptr; event = reader.next()) {
      if (full()) return false;
      inserted(*event);
    }
    return true;
  }

  void check(const RecordedEvent& event, const EventHash& hash) {
    ++report_.events;
    const EventPlace place = place_of(event);
    const std::optional<ChainHash> previous = links_.before(place);
    links_.set(place, hash.link);
    if (previous && content_hash(event) == hash.content &&
        chain_link(*previous, event.version, event.recorded_at, event.position, hash.content) == hash.link) {
      return;
    }
    look_closer(event);
  }

  void inserted(const RecordedEvent& event) {
    ++report_.events;
    const EventPlace place = place_of(event);
    if (driver_.find_hashes({&place, 1}).at(0)) {  // It is another place's.
      const std::size_t known = faults_.size();
      look_closer(event);
      if (faults_.size() > known) return;
    }
    faults_.push_back({ChainFault::Kind::inserted, event.stream, event.version, event.position, event.event_id,
                       "the event has no hash, though its place in the log was sealed"});
  }

  /// What is wrong with the event's stream, told once.
  void look_closer(const RecordedEvent& suspect) {
    if (!looked_at_.insert(suspect.stream).second) return;
    StreamChainVerifier chain(suspect.stream);
    Position before;
    Position behind = sealed_to_;
    for (const RecordedEvent& event : store_.read_stream(suspect.stream, {.as_stored = true})) {
      if (event.position > sealed_to_) break;
      const EventPlace place = place_of(event);
      const std::optional<EventHash> hash = driver_.find_hashes({&place, 1}).at(0);
      if (!chain.feed(event, hash ? hash->content : ChainHash{}, hash ? hash->link : ChainHash{})) break;
      if (chain.good().version == event.version) before = event.position;
    }
    std::optional<ChainFault> fault = chain.finish();
    if (!fault) {
      fault = ChainFault{ChainFault::Kind::changed, suspect.stream,   suspect.version,
                         suspect.position,          suspect.event_id, "the event is not as it was sealed"};
    }
    if (fault->position > Position(0)) behind = fault->position;
    if (fault->kind == ChainFault::Kind::removed) {
      gaps_.push_back({*fault, before, behind});
    } else {
      faults_.push_back(std::move(*fault));
    }
  }

  /// A hash without its event says where, a stream's gap says which: one fault when they are of each other.
  void name_removed() {
    for (Gap& gap : gaps_) {
      const auto first = std::find_if(removed_.begin(), removed_.end(), [&](Position position) {
        return position > gap.before && position < gap.behind;
      });
      if (first != removed_.end()) {
        gap.fault.position = *first;
        removed_.erase(first);
      }
      faults_.push_back(std::move(gap.fault));
    }
    for (const Position position : removed_) {
      if (full()) return;
      faults_.push_back({ChainFault::Kind::removed, std::nullopt, Version(0), position, std::nullopt,
                         "the event at this position was sealed and is not there"});
    }
  }

  void check_checkpoint() {
    if (!options_.checkpoint) return;
    if (const std::optional<ChainFault> fault =
            compare_checkpoint(*options_.checkpoint, of_checkpoint_ ? &*of_checkpoint_ : nullptr)) {
      of_seals_.push_back(*fault);
    }
  }

  struct Gap {
    ChainFault fault;
    Position before;  ///< Between the positions of the stream's events on both sides.
    Position behind;
  };

  EventStore& store_;
  driver::Driver& driver_;
  const ChainOptions& options_;
  LastLinks links_;
  ChainReport report_;
  std::vector<ChainFault> faults_;
  std::vector<ChainFault> of_seals_;
  std::vector<Gap> gaps_;
  std::vector<Position> removed_;
  std::set<StreamKey> looked_at_;
  std::optional<LogSeal> previous_;
  std::optional<LogSeal> of_checkpoint_;
  Position sealed_to_;
};

}  // namespace

ChainReport verify_chain(EventStore& store, const ChainOptions& options) {
  check_sees_all(store);
  if (options.max_faults < 1) throw Error(ErrorCode::invalid_argument, "max_faults: must be at least 1");
  return ChainCheck(store, options).run();
}

}  // namespace stele
