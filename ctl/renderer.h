// What commands show: one renderer per format.
#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <string_view>

#include "bench_report.h"
#include "vsync/control/v1/control.pb.h"

namespace vsync::ctl {

namespace pb = control::v1;

class Renderer {
 public:
  Renderer() = default;
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;
  virtual ~Renderer() = default;

  virtual void status(const pb::Status& status) = 0;
  virtual void members(const pb::Status& status) = 0;
  virtual void view(const pb::Status& status) = 0;
  virtual void leader(const pb::LeaderEvent& leader) = 0;  ///< node 0 = there is none
  virtual void groups(const pb::Status& status) = 0;
  virtual void group(const pb::GroupView& group) = 0;
  virtual void event(const pb::Event& event) = 0;  ///< message batches come as single messages
  /// Outcomes of `reply.count` messages from number `first` on.
  virtual void sent(std::uint64_t first, const pb::SendBatchReply& reply) = 0;
  virtual void replies(const pb::RequestResult& result) = 0;
  virtual void reloaded(const pb::ReloadReply& reply) = 0;
  /// `daemon` is empty when none answers.
  virtual void version(std::string_view program, std::string_view daemon) = 0;
  virtual void bench(const BenchReport& report) = 0;
  virtual void doctor(const pb::DoctorReport& report) = 0;
  virtual void checkpoints(const pb::CheckpointReply& reply, bool in_full) = 0;
  virtual void done(std::string_view what) = 0;
};

/// Several lines for people, or one object without line end.
[[nodiscard]] std::string bench_text(const BenchReport& report);
[[nodiscard]] std::string bench_json(const BenchReport& report);

[[nodiscard]] std::unique_ptr<Renderer> make_text_renderer(std::ostream& out, bool colour);
[[nodiscard]] std::unique_ptr<Renderer> make_json_renderer(std::ostream& out);

}  // namespace vsync::ctl
