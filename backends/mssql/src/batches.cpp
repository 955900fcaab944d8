#include "batches.h"

#include <algorithm>

namespace stele::mssql {
namespace {

bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\r';
}

/// Whether the line that begins here is a separator: GO in any case, and at most a comment behind it.
bool is_go(std::string_view line) {
  const auto first = std::find_if_not(line.begin(), line.end(), is_blank);
  line.remove_prefix(static_cast<std::size_t>(first - line.begin()));
  if (line.size() < 2 || (line[0] | 0x20) != 'g' || (line[1] | 0x20) != 'o') return false;
  line.remove_prefix(2);
  const auto rest = std::find_if_not(line.begin(), line.end(), is_blank);
  return rest == line.end() || std::string_view(rest, line.end()).starts_with("--");
}

/// Behind the comment, text or name that begins here; `at` itself when none does.
std::size_t behind_quoted(std::string_view script, std::size_t at) {
  const std::string_view rest = script.substr(at);
  if (rest.starts_with("--")) return std::min(script.find('\n', at), script.size());
  if (rest.starts_with("/*")) {
    int depth = 0;  // They nest.
    for (; at < script.size(); ++at) {
      const std::string_view here = script.substr(at, 2);
      if (here == "/*") {
        ++depth;
        ++at;
      } else if (here == "*/") {
        ++at;
        if (--depth == 0) return at + 1;
      }
    }
    return script.size();
  }
  if (rest.front() != '\'' && rest.front() != '"' && rest.front() != '[') return at;
  const char end = rest.front() == '[' ? ']' : rest.front();
  do {
    at = std::min(script.find(end, at + 1), script.size());
    ++at;
  } while (at < script.size() && script[at] == end && ++at <= script.size());  // Doubled, it does not end it.
  return std::min(at, script.size());
}

bool has_statement(std::string_view batch) {
  for (std::size_t at = 0; at < batch.size();) {
    if (batch.substr(at).starts_with("--") || batch.substr(at).starts_with("/*")) {
      at = behind_quoted(batch, at);
    } else if (is_blank(batch[at]) || batch[at] == '\n') {
      ++at;
    } else {
      return true;
    }
  }
  return false;
}

}  // namespace

std::vector<Batch> split_batches(std::string_view script) {
  std::vector<Batch> batches;
  std::size_t begin = 0;
  std::size_t begin_line = 1;
  std::size_t line = 1;
  const auto end_batch = [&](std::size_t end) {
    const std::string_view text = script.substr(begin, end - begin);
    if (has_statement(text)) batches.push_back({text, begin_line});
  };
  bool line_begins = true;
  for (std::size_t at = 0; at < script.size();) {
    if (line_begins) {
      const std::size_t end = std::min(script.find('\n', at), script.size());
      if (is_go(script.substr(at, end - at))) {
        end_batch(at);
        at = std::min(end + 1, script.size());
        begin = at;
        begin_line = ++line;
        continue;
      }
    }
    const std::size_t behind = std::max(behind_quoted(script, at), at + 1);
    const std::string_view passed = script.substr(at, behind - at);
    line += static_cast<std::size_t>(std::count(passed.begin(), passed.end(), '\n'));
    line_begins = passed == "\n";
    at = behind;
  }
  end_batch(script.size());
  return batches;
}

}  // namespace stele::mssql
