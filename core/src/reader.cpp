#include <algorithm>

#include "page_source.h"
#include "stele/read.h"

namespace stele {

namespace detail {

namespace {
// A page is big enough to make a statement's fixed cost small, and small enough that reading stays flat in memory.
constexpr std::size_t max_page_events = 512;
constexpr std::size_t max_page_bytes = std::size_t{1} << 20;
}  // namespace

const RecordedEvent* PageSource::next() {
  if (left_ == 0) return nullptr;
  const RecordedEvent* event = today_.as_stored() ? next_stored() : next_of_today();
  if (event != nullptr) --left_;
  return event;
}

const RecordedEvent* PageSource::next_stored() {
  if (at_ < page_.size()) return &page_[at_++];
  if (done_) return nullptr;
  at_ = 0;
  page_.clear();
  // Nobody knows how many stored events give as many as are wanted, unless each is given as it is.
  const std::uint64_t enough = today_.as_stored() ? left_ : page_events_;
  const auto events = static_cast<std::size_t>(std::min<std::uint64_t>(page_events_, enough));
  try {
    fetch({events, max_page_bytes}, page_);
  } catch (...) {
    page_.clear();
    throw;
  }
  page_events_ = std::min(page_events_ * 2, max_page_events);
  if (page_.size() == 0) {
    done_ = true;
    return nullptr;
  }
  done_ = page_.end || !advance(page_);
  return &page_[at_++];
}

const RecordedEvent* PageSource::next_of_today() {
  while (upcast_.empty()) {
    const RecordedEvent* stored = next_stored();
    if (stored == nullptr || today_.unchanged(*stored)) return stored;
    try {
      upcast_ = today_.apply(*stored);
    } catch (...) {
      --at_;  // The next call meets it again.
      throw;
    }
    if (direction_ == Direction::forwards) std::reverse(upcast_.begin(), upcast_.end());
  }
  given_ = std::move(upcast_.back());
  upcast_.pop_back();
  return &given_;
}

}  // namespace detail

EventReader::EventReader(std::unique_ptr<detail::PageSource> source) noexcept : source_(std::move(source)) {}
EventReader::EventReader(EventReader&&) noexcept = default;
EventReader& EventReader::operator=(EventReader&&) noexcept = default;
EventReader::~EventReader() = default;

const RecordedEvent* EventReader::next() {
  return source_->next();
}

}  // namespace stele
