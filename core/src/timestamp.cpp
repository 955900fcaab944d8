#include "stele/timestamp.h"

#include <chrono>

#include "stele/error.h"

namespace stele {
namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t minute = 60 * second;
constexpr std::int64_t hour = 60 * minute;
constexpr std::int64_t day = 24 * hour;
constexpr std::int64_t first_micros = -62'135'596'800 * second;     // 0001-01-01T00:00:00Z
constexpr std::int64_t last_micros = 253'402'300'800 * second - 1;  // 9999-12-31T23:59:59.999999Z

[[noreturn]] void fail(const char* what) {
  throw Error(ErrorCode::invalid_argument, what);
}

// Reads from the front of a text.
class Cursor {
 public:
  explicit Cursor(std::string_view text) noexcept : text_(text) {}

  bool at_end() const noexcept { return text_.empty(); }
  bool at_digit() const noexcept { return !text_.empty() && text_[0] >= '0' && text_[0] <= '9'; }

  char take() {
    if (text_.empty()) malformed();
    const char c = text_[0];
    text_.remove_prefix(1);
    return c;
  }

  int take_digit() {
    if (!at_digit()) malformed();
    return take() - '0';
  }

  int take_digits(int count) {
    int value = 0;
    for (int i = 0; i < count; ++i) value = value * 10 + take_digit();
    return value;
  }

  void expect(char wanted) {
    if (take() != wanted) malformed();
  }

  [[noreturn]] static void malformed() { fail("not an RFC 3339 time such as 2026-03-01T08:15:00.250Z"); }

 private:
  std::string_view text_;
};

void append_digits(std::string& out, std::int64_t value, int count) {
  const std::size_t begin = out.size();
  out.resize(begin + static_cast<std::size_t>(count));
  for (std::size_t i = out.size(); i > begin; --i) {
    out[i - 1] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

}  // namespace

Timestamp Timestamp::from_micros(std::int64_t micros) {
  if (micros < first_micros || micros > last_micros) fail("the time is not between the years 1 and 9999 in UTC");
  return Timestamp(micros);
}

Timestamp Timestamp::parse(std::string_view text) {
  Cursor cursor(text);
  const int year = cursor.take_digits(4);
  cursor.expect('-');
  const int month = cursor.take_digits(2);
  cursor.expect('-');
  const int day_of_month = cursor.take_digits(2);
  const char separator = cursor.take();
  if (separator != 'T' && separator != 't' && separator != ' ') Cursor::malformed();
  const int hours = cursor.take_digits(2);
  cursor.expect(':');
  const int minutes = cursor.take_digits(2);
  cursor.expect(':');
  const int seconds = cursor.take_digits(2);

  std::int64_t fraction = 0;
  char zone = cursor.take();
  if (zone == '.') {
    std::int64_t unit = second / 10;
    do {
      const int digit = cursor.take_digit();
      if (unit == 0 && digit != 0) fail("the time has digits beyond microseconds that are not zero");
      fraction += digit * unit;
      unit /= 10;
    } while (cursor.at_digit());
    zone = cursor.take();
  }

  std::int64_t offset = 0;
  if (zone == '+' || zone == '-') {
    const int offset_hours = cursor.take_digits(2);
    cursor.expect(':');
    const int offset_minutes = cursor.take_digits(2);
    if (offset_hours > 23 || offset_minutes > 59) fail("the time's offset from UTC does not exist");
    offset = offset_hours * hour + offset_minutes * minute;
    if (zone == '-') offset = -offset;
  } else if (zone != 'Z' && zone != 'z') {
    Cursor::malformed();
  }
  if (!cursor.at_end()) Cursor::malformed();

  const std::chrono::year_month_day date(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day_of_month)));
  if (!date.ok()) fail("the time's date does not exist");
  if (seconds == 60) fail("the time is a leap second; these are not supported");
  if (hours > 23 || minutes > 59 || seconds > 59) fail("the time of day does not exist");
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return from_micros(days * day + hours * hour + minutes * minute + seconds * second + fraction - offset);
}

Timestamp Timestamp::now() noexcept {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  return Timestamp(duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

std::string Timestamp::to_string() const {
  using std::chrono::days;
  const std::int64_t fraction = (micros_ % second + second) % second;
  const std::int64_t day_number = (micros_ - (micros_ % day + day) % day) / day;
  const std::int64_t seconds_of_day = (micros_ - day_number * day) / second;
  const std::chrono::year_month_day date{std::chrono::sys_days(days(day_number))};

  std::string text;
  text.reserve(27);
  append_digits(text, static_cast<int>(date.year()), 4);
  text += '-';
  append_digits(text, static_cast<unsigned>(date.month()), 2);
  text += '-';
  append_digits(text, static_cast<unsigned>(date.day()), 2);
  text += 'T';
  append_digits(text, seconds_of_day / 3600, 2);
  text += ':';
  append_digits(text, seconds_of_day / 60 % 60, 2);
  text += ':';
  append_digits(text, seconds_of_day % 60, 2);
  if (fraction != 0) {
    text += '.';
    if (fraction % 1000 == 0) {
      append_digits(text, fraction / 1000, 3);
    } else {
      append_digits(text, fraction, 6);
    }
  }
  text += 'Z';
  return text;
}

}  // namespace stele
