// Where an EventReader's pages come from.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "stele/driver/driver.h"
#include "today.h"

namespace stele::detail {

/// Fetches the pages of one read. State moves on only when a page arrived whole, so a failed fetch can be repeated.
class PageSource {
 public:
  PageSource(std::optional<std::uint64_t> limit, Direction direction, Today today)
      : today_(std::move(today)),
        direction_(direction),
        left_(limit.value_or(std::numeric_limits<std::uint64_t>::max())) {}
  virtual ~PageSource() = default;
  PageSource(const PageSource&) = delete;
  PageSource& operator=(const PageSource&) = delete;

  const RecordedEvent* next();

 protected:
  /// Fills the cleared page.
  virtual void fetch(driver::PageLimits limits, driver::EventPage& page) = 0;
  /// Moves behind the page, which is not empty. Returns false when nothing can follow.
  virtual bool advance(const driver::EventPage& page) = 0;

  const Today& today() const noexcept { return today_; }

 private:
  const RecordedEvent* next_stored();
  const RecordedEvent* next_of_today();

  const Today today_;
  const Direction direction_;
  driver::EventPage page_;
  std::size_t at_ = 0;
  std::vector<RecordedEvent> upcast_;  // What one stored event became, the next to be given last.
  RecordedEvent given_;                // Out of upcast_.
  bool done_ = false;
  std::uint64_t left_;            // To be given.
  std::size_t page_events_ = 64;  // Doubles from page to page, so that short reads stay cheap.
};

}  // namespace stele::detail
