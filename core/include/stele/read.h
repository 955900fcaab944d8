// Reading: what to read, and the lazy readers that give it.
#pragma once

#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stele/append.h"
#include "stele/event.h"

namespace stele {

enum class Direction : std::uint8_t { forwards, backwards };

/// Which of a stream's events, and in which order. Bounds hold in both directions.
struct StreamReadOptions {
  Direction direction = Direction::forwards;
  Version from{1};                       ///< Inclusive.
  std::optional<Version> to{};           ///< Inclusive.
  std::optional<std::uint64_t> limit{};  ///< At most so many events.
  std::optional<Timestamp> as_of{};      ///< Only what was recorded at or before this time.
  std::optional<Timestamp> valid_at{};   ///< Only what is valid at this business time; an open bound is none.
  bool upcast = true;                    ///< false: without the store's upcasters, otherwise as everybody reads them.
  bool as_stored = false;                ///< Without the store's upcasters, and without decrypting anything.
};

/// Every condition that is set must hold; the database evaluates them.
struct LogFilter {
  std::optional<std::string> tenant{};
  std::vector<std::string> stream_types{};  ///< Any of these; empty: all.
  std::vector<std::string> event_types{};   ///< Any of these; empty: all.
  std::optional<std::string> source{};
  std::optional<ActorType> actor_type{};
  std::optional<std::string> actor_id{};
  std::optional<Uuid> correlation_id{};
  std::optional<Uuid> causation_id{};
  std::optional<Timestamp> occurred_from{};   ///< Inclusive.
  std::optional<Timestamp> occurred_until{};  ///< Exclusive.
  std::optional<Timestamp> recorded_from{};   ///< Inclusive.
  std::optional<Timestamp> recorded_until{};  ///< Exclusive.
  std::optional<Timestamp> valid_at{};
  std::vector<std::pair<std::string, std::string>> attributes{};  ///< All of these name = value.
};

/// Which of the log's events, and in which order. Bounds hold in both directions.
struct LogReadOptions {
  Direction direction = Direction::forwards;
  Position after{};                  ///< Exclusive lower bound: the last position the caller has seen.
  std::optional<Position> before{};  ///< Exclusive upper bound.
  std::optional<std::uint64_t> limit{};
  std::optional<Timestamp> as_of{};  ///< Only what was recorded at or before this time.
  LogFilter filter{};
  bool upcast = true;      ///< false: without the store's upcasters, otherwise as everybody reads them.
  bool as_stored = false;  ///< Without the store's upcasters, and without decrypting anything.
};

namespace detail {
class PageSource;  // fetches page after page from a driver
}

/// Events one after the other, fetched page by page: memory does not grow with the result, and nothing in the database
/// is held between pages. Move-only. Use by one thread at a time; the store must outlive it.
///
///     for (const stele::RecordedEvent& event : store.read_stream(key)) { … }
class STELE_API EventReader {
 public:
  explicit EventReader(std::unique_ptr<detail::PageSource> source) noexcept;
  EventReader(EventReader&&) noexcept;
  EventReader& operator=(EventReader&&) noexcept;
  ~EventReader();

  /// The next event, valid until the next call; nullptr at the end. Throws like the read that made the reader; after a
  /// retryable error the call may be repeated, and no event is lost or given twice.
  const RecordedEvent* next();

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = RecordedEvent;
    using difference_type = std::ptrdiff_t;
    using pointer = const RecordedEvent*;
    using reference = const RecordedEvent&;

    Iterator() noexcept = default;
    explicit Iterator(EventReader& reader) : reader_(&reader), event_(reader.next()) {}
    reference operator*() const noexcept { return *event_; }
    pointer operator->() const noexcept { return event_; }
    Iterator& operator++() {
      event_ = reader_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& a, const Iterator& b) noexcept { return a.event_ == b.event_; }

   private:
    EventReader* reader_ = nullptr;
    const RecordedEvent* event_ = nullptr;
  };

  Iterator begin() { return Iterator(*this); }
  Iterator end() noexcept { return {}; }

 private:
  std::unique_ptr<detail::PageSource> source_;
};

struct StreamInfo {
  StreamKey stream;
  Version version;             ///< Of the last event; at least 1.
  Timestamp created_at;        ///< When the first event was recorded.
  Timestamp last_recorded_at;  ///< When the last event was recorded.
  friend bool operator==(const StreamInfo&, const StreamInfo&) = default;
};

/// Which streams of one tenant, ordered by (type, id) byte for byte.
struct StreamListOptions {
  std::string tenant{default_tenant};
  std::optional<std::string> type{};
  std::string id_prefix{};           ///< Ids that begin with these bytes. No wildcards.
  std::optional<StreamKey> after{};  ///< Continue behind this one: the last of the previous page.
  std::size_t limit = 100;           ///< The page's size, 1 … 10,000.
};

/// A command as it was recorded.
struct CommandRecord {
  CommandKey key;
  Uuid command_id;
  std::string type;
  std::optional<StreamKey> stream;
  std::optional<Actor> actor;
  std::optional<Channel> channel;
  std::optional<Json> data;
  Timestamp recorded_at;               ///< The database's clock.
  std::vector<StreamOutcome> outcome;  ///< What the original append answered.
};

struct StoreStats {
  std::int64_t events = 0;
  std::int64_t streams = 0;
  std::int64_t commands = 0;
  Position last_position;
  std::optional<Timestamp> first_recorded_at;
  std::optional<Timestamp> last_recorded_at;
  std::vector<std::pair<std::string, std::int64_t>> events_by_type;  ///< Ordered by count, then name.
  std::int64_t bytes = 0;                                            ///< The database's size; 0 when unknown.
};

}  // namespace stele
