// JSON for programs: one object a line, with the names of the control protocol.
#include "json/json.h"
#include "renderer.h"

namespace vsync::ctl {
namespace {

template <typename Messages>
std::string to_json_array(const Messages& messages) {
  std::string text = "[";
  for (const auto& message : messages) {
    text += (text.size() > 1 ? "," : "") + to_json(message);
  }
  return text + "]";
}

class JsonRenderer final : public Renderer {
 public:
  explicit JsonRenderer(std::ostream& out) : out_(out) {}

  void status(const pb::Status& status) override { line(to_json(status)); }
  void members(const pb::Status& status) override {
    line("{\"members\":" + to_json_array(status.members()) + ",\"witnesses\":" + to_json_array(status.witnesses()) + "}");
  }
  void view(const pb::Status& status) override {
    pb::ViewEvent view;
    view.set_view(status.view());
    *view.mutable_members() = status.members();
    *view.mutable_witnesses() = status.witnesses();
    view.set_leader(status.leader());
    view.set_primary(status.view() != 0);
    view.set_cold(status.cold());
    line(to_json(view));
  }
  void leader(const pb::LeaderEvent& leader) override { line(to_json(leader)); }
  void groups(const pb::Status& status) override { line("{\"groups\":" + to_json_array(status.groups()) + "}"); }
  void group(const pb::GroupView& group) override { line(to_json(group)); }
  void event(const pb::Event& event) override { line("{\"event\":" + to_json(event) + "}"); }
  void sent(std::uint64_t first, const pb::SendBatchReply& reply) override {
    pb::Reply whole;
    whole.set_id(first);
    *whole.mutable_send_batch() = reply;
    line(to_json(whole));
  }
  void replies(const pb::RequestResult& result) override { line(to_json(result)); }
  void reloaded(const pb::ReloadReply& reply) override { line(to_json(reply)); }
  void version(std::string_view program, std::string_view daemon) override {
    line("{\"vsyncctl\":\"" + std::string(program) + "\",\"vsyncd\":\"" + std::string(daemon) + "\"}");
  }
  void bench(const BenchReport& report) override { line(bench_json(report)); }
  void doctor(const pb::DoctorReport& report) override { line(to_json(report)); }
  void checkpoints(const pb::CheckpointReply& reply, bool in_full) override {
    line(in_full ? to_json(reply.checkpoints(0)) : to_json(reply));
  }
  void done(std::string_view) override { line("{}"); }

 private:
  /// Streams are read by programs as they come.
  void line(const std::string& text) { out_ << text << std::endl; }

  std::ostream& out_;
};

}  // namespace

std::unique_ptr<Renderer> make_json_renderer(std::ostream& out) {
  return std::make_unique<JsonRenderer>(out);
}

}  // namespace vsync::ctl
