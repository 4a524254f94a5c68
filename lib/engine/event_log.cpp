#include "engine/event_log.h"

#include <cerrno>
#include <chrono>
#include <cstring>

namespace vsync::engine {
namespace {

namespace trace = core::trace;

/// "{peer_id:P, view_id: V, leader: L, " — how every line of the `membership` format begins.
std::string membership_head(const core::Pid& self, const core::ViewPtr& view) {
  return "{peer_id:" + std::to_string(self.node) + ", view_id: " + std::to_string(view ? view->id() : 0) +
         ", leader: " + std::to_string(view ? view->leader().node : 0) + ", ";
}

template <typename... Parts>
void append_line(std::string& out, const Parts&... parts) {
  const auto append = [&out](const auto& part) {
    if constexpr (std::is_integral_v<std::remove_cvref_t<decltype(part)>>) {
      out += std::to_string(part);
    } else {
      out += part;
    }
  };
  (append(parts), ...);
  out += '\n';
}

}  // namespace

void append_text(std::string& out, const core::Pid& self, const trace::Event& event) {
  if (const auto* install = std::get_if<trace::Install>(&event)) {
    append_line(out, self.node, " install view ", install->view->id(), " ", core::node_list(*install->view));
  } else if (const auto* send = std::get_if<trace::Send>(&event)) {
    for (core::Seq seq = send->first; seq < send->first + send->count; ++seq) {
      append_line(out, self.node, " send multicast ", seq, " within ", send->view);
    }
  } else if (const auto* deliver = std::get_if<trace::Deliver>(&event)) {
    for (core::Seq seq = deliver->first; seq < deliver->first + deliver->count; ++seq) {
      append_line(out, self.node, " deliver multicast ", seq, " from ", deliver->sender.node, " within ", deliver->view);
    }
  }
}

void append_membership(std::string& out, const core::Pid& self, const core::ViewPtr& view, const trace::Event& event) {
  if (const auto* install = std::get_if<trace::Install>(&event)) {
    append_line(out, membership_head(self, install->view), "memb_list: [<", core::node_list(*install->view), ">]}");
  } else if (const auto* suspected = std::get_if<trace::Suspected>(&event)) {
    append_line(out, membership_head(self, view), "message:\"peer ", suspected->peer.node, suspected->leader ? " (leader)" : "",
                " unreachable\"}");
  }
}

Result<std::unique_ptr<EventLog>> EventLog::open(const std::string& path, Format format) {
  const bool standard = path == "-";
  auto* file = standard ? stdout : std::fopen(path.c_str(), "ae");
  if (file == nullptr) {
    return fail("cannot open the event log '" + path + "': " + std::strerror(errno));
  }
  return std::unique_ptr<EventLog>(new EventLog(file, !standard, format));
}

EventLog::~EventLog() {
  static_cast<void>(flush());
  if (owned_) {
    std::fclose(file_);
  }
}

void EventLog::write(const core::Pid& self, const trace::Event& event) {
  switch (format_) {
    case Format::text:
      append_text(lines_, self, event);
      break;
    case Format::membership:
      append_membership(lines_, self, view_, event);
      break;
    case Format::json: {
      const auto now = std::chrono::system_clock::now().time_since_epoch();
      append_json(lines_, std::chrono::duration_cast<std::chrono::nanoseconds>(now).count(), self, event);
      break;
    }
  }
  if (const auto* install = std::get_if<trace::Install>(&event)) {
    view_ = install->view;
  }
}

void EventLog::crashing(const core::Pid& self) {
  if (format_ == Format::membership) {
    append_line(lines_, membership_head(self, view_), "message:\"crashing\"}");
  }
}

Result<void> EventLog::flush() {
  if (lines_.empty()) {
    return {};
  }
  const bool written = std::fwrite(lines_.data(), 1, lines_.size(), file_) == lines_.size() && std::fflush(file_) == 0;
  lines_.clear();
  return written ? Result<void>{} : fail(std::string("cannot write the event log: ") + std::strerror(errno));
}

}  // namespace vsync::engine
